"""The artifacts of a job: images, documents, recordings, files."""
