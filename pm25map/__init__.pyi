from pm25map.exposure.python import extract as extract
from pm25map.raster.day_source import DaySource as DaySource
from pm25map.raster.estimator import Options as Options
from pm25map.raster.maps import open_maps as open
from pm25map.raster.maps import predict as predict

__all__ = ["DaySource", "Options", "__version__", "extract", "open", "predict"]
__version__: str
