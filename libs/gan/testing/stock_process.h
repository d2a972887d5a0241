#pragma once

#include <cstdio>

#include "libs/domain/run_config.h"

namespace gannet::gan {

// Stock LibTorch modules in a process of their own, as a program of somebody else would run them:
// nothing that this project does to a process (TuneMalloc above all) helps them or disturbs them.
//
// The process is this very program, started again with kStockArgument; its main must call
// RunStockProcess then.
//
// Thread safety: none.
class StockProcess {
 public:
  // Ends the program when the process cannot be started.
  StockProcess(const domain::ModelConfig& model, int batch, int threads);
  ~StockProcess();
  StockProcess(const StockProcess&) = delete;
  StockProcess& operator=(const StockProcess&) = delete;

  // Seconds of one training step. The process sleeps in between.
  double Step();

 private:
  int pid_ = -1;
  FILE* to_ = nullptr;
  FILE* from_ = nullptr;
};

inline constexpr char kStockArgument[] = "--stock-process";

// The other side: `arguments` are those behind kStockArgument. Returns the exit code.
int RunStockProcess(int argument_count, char** arguments);

}  // namespace gannet::gan
