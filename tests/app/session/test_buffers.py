"""The pool hands buffers out and over again, and holds no more of them than are needed."""

import numpy as np

from framehook.app.session.buffers import POISON, BufferPool


def address(pixels):
    return pixels.__array_interface__["data"][0]


def test_a_buffer_fits_what_was_asked_for():
    pixels = BufferPool().take(30, 20)
    assert pixels.shape == (20, 30, 4)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


def test_a_buffer_is_used_again_only_after_it_was_given_back():
    pool = BufferPool()
    first, second = pool.take(64, 48), pool.take(64, 48)
    assert address(first) != address(second)
    pool.give_back(first)
    assert address(pool.take(64, 48)) == address(first)


def test_a_buffer_given_back_twice_is_not_taken_from_the_next_one_who_has_it():
    pool = BufferPool()
    first = pool.take(64, 48)
    pool.give_back(first)
    second = pool.take(64, 48)
    pool.give_back(first)
    assert address(pool.take(64, 48)) != address(second)


def test_what_never_came_from_the_pool_does_not_get_into_it():
    pool = BufferPool()
    stranger = np.zeros((48, 64, 4), np.uint8)
    pool.give_back(stranger)
    assert pool.held == 0
    assert address(pool.take(64, 48)) != address(stranger)


def test_a_freed_buffer_is_poisoned_in_the_test_mode_alone():
    for poison in (True, False):
        pool = BufferPool(poison=poison)
        pixels = pool.take(64, 48)
        pixels[:] = 7
        pool.give_back(pixels)
        assert np.array_equal(np.unique(pixels.reshape(-1, 4), axis=0), [POISON] if poison else [[7, 7, 7, 7]])


def test_memory_is_flat_while_a_view_of_one_size_plays():
    pool = BufferPool()
    shown, most = pool.take(1920, 1080), 0
    for _ in range(200):
        following = pool.take(1920, 1080)
        pool.give_back(shown)
        shown = following
        most = max(most, pool.held)
    assert most == 2 * shown.nbytes


def test_memory_is_bounded_while_a_view_is_resized_and_buffers_of_old_sizes_are_let_go_afterwards():
    pool = BufferPool()
    shown, most = pool.take(1000, 700), 0
    for width in range(1000, 1300):
        following = pool.take(width, 700)
        pool.give_back(shown)
        shown = following
        most = max(most, pool.held)
    assert most <= 5 * shown.nbytes
    for _ in range(100):
        following = pool.take(320, 180)
        pool.give_back(shown)
        shown = following
    assert pool.held == 2 * shown.nbytes


def test_many_views_of_different_sizes_do_not_take_buffers_from_one_another():
    pool = BufferPool()
    sizes = [(100 + number, 80) for number in range(12)]
    shown = {size: pool.take(*size) for size in sizes}
    addresses = {size: {address(shown[size])} for size in sizes}
    for _ in range(20):
        for size in sizes:
            following = pool.take(*size)
            pool.give_back(shown[size])
            shown[size] = following
            addresses[size].add(address(following))
    assert all(len(each) == 2 for each in addresses.values())


def test_all_free_buffers_can_be_let_go():
    pool = BufferPool()
    pixels, kept = pool.take(64, 48), pool.take(64, 48)
    pool.give_back(pixels)
    pool.clear()
    assert pool.held == kept.nbytes
