"""The HTTP front: requests become messages for the same dispatcher as the lines of stdin."""
