"""What the jobs of one profile share: a context that lives on, and what is saved of it."""
