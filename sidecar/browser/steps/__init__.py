"""What a job does on its pages, step by step."""
