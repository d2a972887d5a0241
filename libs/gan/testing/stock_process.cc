#include "libs/gan/testing/stock_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "libs/base/check.h"
#include "libs/gan/compute.h"
#include "libs/gan/gan.h"
#include "libs/gan/testing/reference_training.h"

namespace gannet::gan {

StockProcess::StockProcess(const domain::ModelConfig& model, int batch, int threads) {
  int requests[2];
  int answers[2];
  GANNET_CHECK(pipe(requests) == 0 && pipe(answers) == 0);
  std::vector<std::string> words = {"gannet-bench-gan", kStockArgument};
  for (const int number : {model.image_size, model.latent_dim, model.base_width, batch, threads}) {
    words.push_back(std::to_string(number));
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  GANNET_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    dup2(requests[0], STDIN_FILENO);
    dup2(answers[1], STDOUT_FILENO);
    for (const int fd : {requests[0], requests[1], answers[0], answers[1]}) close(fd);
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  close(requests[0]);
  close(answers[1]);
  to_ = fdopen(requests[1], "w");
  from_ = fdopen(answers[0], "r");
  GANNET_CHECK(to_ != nullptr && from_ != nullptr);
}

StockProcess::~StockProcess() {
  // The end of its input ends it.
  fclose(to_);
  fclose(from_);
  waitpid(pid_, nullptr, 0);
}

double StockProcess::Step() {
  double seconds = 0;
  GANNET_CHECK(fputs("step\n", to_) >= 0 && fflush(to_) == 0);
  GANNET_CHECK(fscanf(from_, "%lf", &seconds) == 1);
  return seconds;
}

int RunStockProcess(int argument_count, char** arguments) {
  if (argument_count != 5) return 2;
  domain::ModelConfig model;
  model.image_size = std::atoi(arguments[0]);
  model.latent_dim = std::atoi(arguments[1]);
  model.base_width = std::atoi(arguments[2]);
  ConfigureThreads(std::atoi(arguments[4]));
  StockTrainingStep step(model, InitialWeights(model, 1), std::atoi(arguments[3]));
  char line[16];
  while (fgets(line, sizeof(line), stdin) != nullptr) {
    const auto start = std::chrono::steady_clock::now();
    step.Run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%.9f\n", took.count());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace gannet::gan
