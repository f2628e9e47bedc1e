"""What a photo's file says beside its pixels: EXIF, IPTC, XMP, and how formats hold it."""
