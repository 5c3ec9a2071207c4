// The command line: finds the command, runs it, and turns every error into a message and an exit code.
#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <new>
#include <unistd.h>

#include "commands/common.h"
#include "runtime/error.h"
#include "version.h"

namespace {

using namespace cnnc;
using namespace cnnc::commands;

extern "C" void on_interrupt(int) { ::_exit(kInterrupted); }

// Ctrl-C ends with 130. A training run saves first: it has a handler of its own (runtime/interrupt.h). Output files
// are renamed into place when they are whole, so one that is interrupted is not there.
void handle_interrupts() {
  struct sigaction before;
  sigaction(SIGINT, nullptr, &before);
  if (before.sa_handler != SIG_IGN)
    std::signal(SIGINT, on_interrupt);
}

int fail(int code, const std::string &message) {
  fmt::print(stderr, "error: {}\n", message);
  return code;
}

// "" or what is wrong with the command's name, which CLI11 would call an unexpected argument.
std::string wrong_command(const CLI::App &app, char **argv) {
  if (argv[1][0] == '-')
    return "";
  std::vector<std::string> names;
  for (const CLI::App *command : app.get_subcommands([](const CLI::App *) { return true; }))
    names.push_back(command->get_name());
  const std::string found = argv[1];
  if (std::find(names.begin(), names.end(), found) != names.end())
    return "";
  const std::string near = near_miss(found, names);
  return fmt::format("unknown command '{}'; {}", found,
                     near.empty() ? "'cnnc --help' lists the commands" : fmt::format("did you mean '{}'?", near));
}

int run(int argc, char **argv) {
  CLI::App app("Compiles a small text that describes a convolutional network into a static library that trains and runs "
               "it, and does so in place.",
               "cnnc");
  app.set_version_flag("--version", "cnnc " CNNC_VERSION);
  app.require_subcommand(1);
  app.failure_message([](const CLI::App *a, const CLI::Error &e) {
    std::string name = a->get_name();
    for (const CLI::App *command : a->get_subcommands())
      name += " " + command->get_name();
    return fmt::format("error: {}\n'{} --help' says more\n", e.what(), name);
  });
  Action action;
  for (auto add : {add_compile, add_train, add_eval, add_predict, add_run, add_summary, add_check, add_bench, add_tune, add_opt, add_help})
    add(app, action);
  if (argc < 2) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  if (const std::string wrong = wrong_command(app, argv); !wrong.empty())
    return fail(kUsage, wrong);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? kDone : kUsage;
  }
  return action();
}

} // namespace

int main(int argc, char **argv) {
  handle_interrupts();
  try {
    const int code = run(argc, argv);
    print_out(""); // what is still buffered
    return code;
  } catch (const ModelError &e) {
    fmt::print(stderr, "{}", e.text);
    return e.exit_code;
  } catch (const TargetError &e) {
    return fail(kUsage, e.message);
  } catch (const runtime::Error &e) {
    return fail(e.exit_code, e.what());
  } catch (const GraphError &e) {
    fmt::print(stderr, "internal error: {}\n", e.message);
    return kInternal;
  } catch (const std::bad_alloc &) {
    return fail(kSystem, "no memory");
  } catch (const std::exception &e) {
    fmt::print(stderr, "internal error: {}\n", e.what());
    return kInternal;
  }
}
