"""What several tests build: runs made without training, and pages read again."""
