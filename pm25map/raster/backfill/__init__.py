"""Maps of many days: planned, computed block by block over runs of days, staged, assembled, resumed, verified."""
