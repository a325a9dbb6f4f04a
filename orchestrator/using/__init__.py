"""What is done with a kept model: it scores new pictures, prepared as its training's were."""
