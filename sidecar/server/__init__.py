"""One session with a parent: lines in and out, dispatch, and a handler for each message."""
