#pragma once

// GANNET_TARGET_CLONES before a function compiles it for several instruction sets; the loader picks
// one when the program starts (GCC's function multiversioning). The build itself targets any CPU of
// the architecture. Only the function's own loops are cloned: not what it calls, nor the bodies
// that OpenMP outlines. Off under AddressSanitizer, which is not ready when the loader chooses.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#define GANNET_TARGET_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define GANNET_TARGET_CLONES
#endif

// GANNET_INDEPENDENT_ITERATIONS before a loop: its arrays may be the same but do not overlap
// otherwise, so it may be vectorised.
#if defined(__clang__)
#define GANNET_INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define GANNET_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#else
#define GANNET_INDEPENDENT_ITERATIONS
#endif
