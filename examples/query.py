"""Read what the diabetes example recorded, with nothing but DuckDB."""

from __future__ import annotations

import duckdb

QUERY = (
    "select run_id, name, round(value, 3) as value"
    " from 'runs/diabetes/*/tables/metrics.parquet' where phase = 'test' and batch is null"
)

print(f'duckdb.sql("{QUERY}")')
print(duckdb.sql(QUERY))
