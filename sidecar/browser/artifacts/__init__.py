"""What a job makes of its pages: images, documents, recordings, files."""
