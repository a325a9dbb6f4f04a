"""The keys of `pca`."""

from pydantic import Field

from trainables.interface import FamilyConfig


class PcaConfig(FamilyConfig):
    """What one reconstruction from principal components is."""

    components: int = Field(8, ge=1)
    """At most as many as a picture has values; fewer where there are fewer pictures."""
    crop: float = Field(1.0, ge=0.5, le=1)
    """The share of each side that is kept, around the centre."""
    blur: float = Field(0.0, ge=0, le=20)
    """The standard deviation, in pixels, of a Gaussian blur; 0: none."""
    thumbnail: int | None = Field(None, ge=2)
    """The side of the square thumbnails, in pixels; null: the pictures as they are. With thumbnails, no maps."""
    grey: bool = False


CONFIG = PcaConfig
