"""The footer and the pages of a Parquet file, read without pyarrow."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reports.captures import parquet_pages
from reports.captures.parquet_pages import _STRUCT, _Chunk, _chunks, _footer, _Struct

TABLE = pa.table(
    {
        "word": ["a", "b", None, "a"] * 500,
        "number": list(range(2000)),
        "flag": [True, False] * 1000,
        "inner": [{"x": 1.5, "y": [1, 2]}] * 2000,
    }
)


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_chunks_are_pyarrows(dictionary: bool, codec: str, version: str, tmp_path: Path) -> None:
    """Name, place and size of every column of every row group, with statistics and page index."""
    path = tmp_path / "t.parquet"
    options = {"write_page_index": True, "data_page_version": version, "row_group_size": 300}
    pq.write_table(TABLE, path, use_dictionary=dictionary, compression=codec, **options)
    with path.open("rb") as file:
        found = list(_chunks(_footer(file)))
    metadata, expected = pq.read_metadata(path), []
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            begin = column.data_page_offset
            if column.has_dictionary_page:
                begin = min(begin, column.dictionary_page_offset)
            end = begin + column.total_compressed_size
            name, unpacked = column.path_in_schema, column.total_uncompressed_size
            expected.append(_Chunk(name, begin, end, unpacked))
    assert len(found) == 7 * 5
    assert found == expected
    parquet_pages.check(path)


def test_a_footer_that_is_none(tmp_path: Path) -> None:
    """Its length is looked at before it is read, its end at every step."""
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path)
    whole = path.read_bytes()
    for length in (0, len(whole), 0xFFFF_FFFF):
        path.write_bytes(whole[:-8] + length.to_bytes(4, "little") + b"PAR1")
        with pytest.raises(ValueError, match="a footer of"):
            parquet_pages.check(path)
    footer = whole[-8 - int.from_bytes(whole[-8:-4], "little") : -8]
    for cut in range(len(footer)):
        with pytest.raises(ValueError, match=r"the footer"):
            list(_chunks(footer[:cut]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\x19\xf3" + b"\xff" * 8 + b"\x7f", "is cut short"),  # a list of 2^63 bytes
        (b"\x19\xf1" + b"\xff" * 8 + b"\x7f", "is cut short"),  # of truth values
        (b"\x18\xff\xff\xff\x7f", "is cut short"),  # bytes
        (b"\x15" + b"\xff" * 12, "is too long"),
        (b"\x1c" * 20, "is nested too deeply"),
        (b"\x1b\x01", "holds a value of type 11"),
    ],
)
def test_values_that_are_none(value: bytes, message: str) -> None:
    """Each is an error at once, whatever it claims."""
    with pytest.raises(ValueError, match=f"it {message}"):
        _Struct(value, "it").skip(_STRUCT)
