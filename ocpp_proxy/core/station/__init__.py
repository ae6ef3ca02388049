"""What is known of a station, in books: one module a book, each changed by its own reducers and by nobody else.

A reducer hears of a Call when it comes, and of an exchange when it is answered, each after the rules have judged it: a
rule finds the books as they stood before. What has not been seen is None, which is not the same as no. Every book says
how much it keeps at most.
"""
