"""Profiles: the browser context and the saved state that the jobs of one profile share."""
