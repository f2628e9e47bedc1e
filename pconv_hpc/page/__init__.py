"""The web page: a thin face on the segmenter, the inpainter and the ledgers of the commands."""
