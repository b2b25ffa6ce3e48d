"""No circles of imports between files; `make lint` looks after the order of the packages."""

from graphlib import TopologicalSorter

import grimp


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports within functions count, those that only a type checker sees do not."""
    graph = grimp.build_graph("modalens", exclude_type_checking_imports=True, cache_dir=None)
    assert len(graph.modules) > 100
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises a CycleError that names the files of a circle
