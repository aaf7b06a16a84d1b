"""A model: its description, its folder, its runtime, and its way to and from the Hugging Face Hub."""
