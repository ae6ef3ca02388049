"""By what a SQLite file is known as a capture, and of which version.

Decides the two numbers in the file's header. Refuses to know how versions differ (`migrations`, which is loaded only
to make or to migrate a file).

Source: SQLite documentation, "PRAGMA Statements" (application_id, user_version).
"""

from __future__ import annotations

APPLICATION_ID = 0x4F435050  # "OCPP"
SCHEMA_VERSION = 1           # the number of the last function in `migrations`
