#pragma once

namespace gannet::base {

// Makes malloc keep the memory it has and take it in huge pages. For a process that allocates and
// frees megabytes again and again: activations, weights, gradients. By default malloc maps and
// unmaps every one of them, and each time the kernel faults in and clears page after page of 4 KiB;
// on a virtual machine a copy of 51 MB took 500 ms, and takes 11 ms with this.
//
// Has no effect the second time, with another C library, or with the malloc of a sanitizer. Call it
// first in main: threads that exist already keep arenas of their own.
void TuneMalloc();

}  // namespace gannet::base
