"""Models: configuration, model folder, runtime, and downloads from and pushes to the Hugging Face Hub."""
