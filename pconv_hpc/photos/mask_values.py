"""What a mask file says with its brightness, 0 to 255; everything else in it is background."""

ERASED = 255
KEPT = 64  # an object that stays and that no texture is taken from
