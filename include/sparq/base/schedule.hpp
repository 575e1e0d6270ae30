// SPDX-License-Identifier: MIT
#pragma once
// Statements that tell the compiler in which order loops over registers do things, where it would choose another and
// run out of registers. Most are empty assembly that "changes" what must not move; other compilers see nothing.

// Compilers reassociate sums of products, (a + p) + q into a + (p + q): twelve more registers are alive and
// accumulators go to memory (AVX2, 6 x 2 block: 1.8 times slower).
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_KEEP_ORDER(register) __asm__("" : "+v"(register))
#else
#define SPARQ_KEEP_ORDER(register) static_cast<void>(0)
#endif

// A register of 512 bits that is 0, cleared by itself.
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_CLEAR(register) __asm__ volatile("vpxord %0, %0, %0" : "=v"(register))
#else
#define SPARQ_CLEAR(register) static_cast<void>(0)
#endif

// Rows of a block one after the other: `later` is not used, nor is anything loaded through `pointer`, before `earlier`
// is there. Compilers that take two rows at once run out of registers where decoding needs some, too.
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_KEEP_TURN(earlier, later) __asm__("" : "+v"(earlier), "+v"(later))
#define SPARQ_LOAD_AFTER(earlier, pointer) __asm__("" : "+v"(earlier), "+r"(pointer))
#else
#define SPARQ_KEEP_TURN(earlier, later) static_cast<void>(0)
#define SPARQ_LOAD_AFTER(earlier, pointer) static_cast<void>(0)
#endif

// Rows of a block are addressed one after the other, by this pointer. clang loads words of all rows at once where it
// can, and runs out of 32 registers.
#if defined(__clang__) && defined(__x86_64__)
#define SPARQ_ROW_IN_TURN(pointer) __asm__("" : "+r"(pointer))
#else
#define SPARQ_ROW_IN_TURN(pointer) static_cast<void>(0)
#endif

// clang spills registers to wherever the stack happens to lie. What crosses a cache line there is not forwarded to the
// load behind it. That fits what was seen, u8 x ternary at a third of its speed in one run of six. A variable to be
// aligned aligns the whole frame.
#if defined(__clang__) && defined(__x86_64__)
#define SPARQ_ALIGN_FRAME               \
  alignas(32) char aligned_frame_[32]; \
  __asm__ volatile("" : "=m"(aligned_frame_))
#else
#define SPARQ_ALIGN_FRAME static_cast<void>(0)
#endif

// What is loaded through `pointer` from here on is loaded again: cheaper than a register that keeps it.
#if defined(__GNUC__)
#define SPARQ_LOAD_AGAIN(pointer) __asm__("" : "+r"(pointer))
#else
#define SPARQ_LOAD_AGAIN(pointer) static_cast<void>(0)
#endif

// A branch that is taken seldom. g++ thinks so of what an early return would skip, and puts it behind the function, two
// jumps away; clang++ keeps it where it is, unless it is told what is likely.
#if defined(__GNUC__) && !defined(__clang__)
#define SPARQ_SELDOM [[unlikely]]
#else
#define SPARQ_SELDOM
#endif
