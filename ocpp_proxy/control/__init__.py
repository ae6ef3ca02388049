"""The control API of a running proxy: what it knows, over HTTP, and a way in for everything that can be asked of it.

Decides who may ask (`guard`) and in which words (`models`). Refuses to decide what is allowed on a live link: that is
`relay.controls`.
"""
