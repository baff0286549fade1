"""The pages that browser tests visit."""
