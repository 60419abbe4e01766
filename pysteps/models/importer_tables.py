"""The families that can be imported, in the order in which they are tried."""

from .importer_images import FAMILIES as IMAGES
from .importer_redimnet import FAMILIES as REDIMNETS
from .importer_tdnns import FAMILIES as TDNNS

FAMILIES = (*IMAGES, *TDNNS, *REDIMNETS)
