"""What a training leaves on the disk: writing it, going on, listing, comparing."""
