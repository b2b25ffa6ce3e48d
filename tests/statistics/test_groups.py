from modalens.statistics.groups import group_keys


def test_groups_become_shared_keys():
    keys = group_keys(["b", "a", "b", "c"], 4)
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3
