import pytest

import labs


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        yield made


@pytest.fixture
def ndes(lab):
    """Switches of the responder, back at their defaults afterwards."""
    yield lab.ndes
    lab.ndes("reset")
