// The GIL, given up for the length of a call.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

#include "call.hpp"

namespace posenc {

// An interpreter that ends in the meantime unwinds the thread that asks for the GIL again, which C++ answers by
// aborting: such a thread sleeps until the process is gone, as from Python 3.14 on.
class WithoutGil : public Poll {
public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    ~WithoutGil() {
        stay([&] { PyEval_RestoreThread(state_); });
    }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

    // Runs signal handlers, and whatever else Python has to do. Where one raises, the error stays set in this thread.
    bool go_on() noexcept override {
        bool quiet = true;
        stay([&] {
            PyEval_RestoreThread(state_);
            quiet = PyErr_CheckSignals() == 0;
            state_ = PyEval_SaveThread();
        });
        return quiet;
    }

private:
    template <class Python>
    static void stay(const Python& python) noexcept {
        try {
            python();
        } catch (...) {
            for (;;) {
                std::this_thread::sleep_for(std::chrono::hours(1));
            }
        }
    }

    PyThreadState* state_;
};

}  // namespace posenc
