from collections.abc import Callable
from typing import Any

def capsule(table: int, address_of: Callable[[Any], int], /) -> Any: ...
