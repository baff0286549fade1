"""Small scrapers, and the shop that they visit."""
