"""What profiles wish for.

Source: rules/profiles.
"""

from __future__ import annotations
