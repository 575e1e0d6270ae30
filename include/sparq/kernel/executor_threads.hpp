// SPDX-License-Identifier: MIT
#pragma once
// An executor with threads of its own, for programs that have no thread pool yet. Optional: nothing in the library
// includes it. The threads start with the object, sleep between operations and end with the object.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace sparq {

/// Cuts work into as many parts as it has threads; the calling thread is one of them. Parts are handed out one by one,
/// to whoever is free. See kernel/executor.hpp.
class thread_executor {
 public:
  /// Starts `threads` - 1 threads. 0 counts as 1: std::thread::hardware_concurrency() says 0 where it does not know.
  explicit thread_executor(std::size_t threads) : thread_executor() {
    if (threads > 1) workers_.reserve(threads - 1);
    for (std::size_t i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  thread_executor(const thread_executor&) = delete;
  thread_executor& operator=(const thread_executor&) = delete;
  /// @pre no parallel_for is running
  ~thread_executor() {
    {
      const std::lock_guard lock(mutex_);
      stops_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  std::size_t concurrency() const { return workers_.size() + 1; }

  /// Calls f(0) .. f(parts - 1). A call from inside f, or while another thread's call runs, does all its parts in the
  /// thread that made it: nothing waits for anything, and results do not depend on it. @pre f does not throw
  template <class F>
  void parallel_for(std::size_t parts, F&& f) {
    if (parts <= 1 || workers_.empty() || busy_.exchange(true, std::memory_order_acquire)) {
      for (std::size_t part = 0; part < parts; ++part) f(part);
      return;
    }
    using function = std::remove_reference_t<F>;
    job current;
    current.call = [](const void* context, std::size_t part) {
      (*const_cast<function*>(static_cast<const function*>(context)))(part);
    };
    current.context = std::addressof(f);
    current.parts = parts;
    run(current);
    busy_.store(false, std::memory_order_release);
  }

 private:
  struct job {
    void (*call)(const void* context, std::size_t part) = nullptr;
    const void* context = nullptr;
    std::size_t parts = 0;
    std::atomic<std::size_t> next{0};

    void take_parts() {
      for (std::size_t part = next.fetch_add(1, std::memory_order_relaxed); part < parts;
           part = next.fetch_add(1, std::memory_order_relaxed))
        call(context, part);
    }
  };

  // What the public constructor starts from: if a thread cannot be started, the destructor ends those before it.
  thread_executor() = default;

  /// Offers the job to all workers and helps; ends when nobody works on it any more.
  void run(job& current) {
    {
      const std::lock_guard lock(mutex_);
      job_ = &current;
      ++jobs_started_;
    }
    wake_.notify_all();
    current.take_parts();
    std::unique_lock lock(mutex_);
    job_ = nullptr;  // no parts are left: who wakes up late has nothing to do
    done_.wait(lock, [this] { return working_ == 0; });
  }

  void work() {
    std::size_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stops_ || (job_ != nullptr && jobs_started_ != seen); });
      if (stops_) return;
      seen = jobs_started_;
      job* const current = job_;
      ++working_;
      lock.unlock();
      current->take_parts();
      lock.lock();
      if (--working_ == 0) done_.notify_one();
    }
  }

  std::atomic<bool> busy_{false};
  std::mutex mutex_;  // guards all that follows
  std::condition_variable wake_;
  std::condition_variable done_;
  job* job_ = nullptr;
  std::size_t jobs_started_ = 0;
  std::size_t working_ = 0;
  bool stops_ = false;
  std::vector<std::thread> workers_;  // last: they start when all else is there
};

}  // namespace sparq
