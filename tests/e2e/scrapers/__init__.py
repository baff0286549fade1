"""Small scrapers, as `sidecar run` starts them."""
