"""Where a list is cut into slices of about the same weight, told while the list goes by."""


class SliceCutting:
    """Cuts units, which stay whole, into contiguous slices.

    Each slice gets its share of what is left for it and those behind it, so that one huge unit
    takes nothing from the others; none is empty unless there are fewer units than slices.

    Args:
        num_slices: at least 1.
        num_units: how many units will come.
        total: the weight of all.
    """

    def __init__(self, num_slices: int, num_units: int, total: int) -> None:
        self._num_units, self._total = num_units, total
        self._num_slices = min(num_slices, num_units)  # that are left, the present one included
        self._weight = 0  # of the present one
        self._is_begun = False

    def begins(self, weight: int) -> bool:
        """Return whether the next unit, of this weight, is the first of a slice."""
        weight_if_cut_after = 2 * self._weight + weight  # doubled: half of a unit counts
        is_full = weight_if_cut_after * self._num_slices > 2 * self._total
        is_needed = self._num_units < self._num_slices
        is_first = not self._is_begun
        if self._is_begun and self._num_slices > 1 and (is_full or is_needed):
            self._num_slices -= 1
            self._total -= self._weight
            self._weight = 0
            is_first = True
        self._is_begun = True
        self._weight += weight
        self._num_units -= 1
        return is_first
