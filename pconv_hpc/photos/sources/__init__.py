"""Many photos: folders, tar files, and listings in bounded memory."""
