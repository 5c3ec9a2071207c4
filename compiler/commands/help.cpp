// `cnnc help`: what --help says.
#include <memory>

#include "commands/common.h"

namespace cnnc::commands {
namespace {

int show_help(CLI::App &app, const std::string &command) {
  if (command.empty()) {
    print_out(app.get_formatter()->make_help(&app, "cnnc", CLI::AppFormatMode::Normal)); // app.help() would be this command's
    return kDone;
  }
  std::vector<std::string> names;
  for (const CLI::App *c : app.get_subcommands([](const CLI::App *) { return true; }))
    names.push_back(c->get_name());
  check_name("help: command", command, names);
  print_out(app.get_subcommand(command)->help("cnnc"));
  return kDone;
}

} // namespace

void add_help(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("help", "what a command does, with an example");
  command->footer("Example:\n  cnnc help compile\n");
  auto name = std::make_shared<std::string>();
  command->add_option("COMMAND", *name, "one of the commands")->type_name("");
  command->callback([name, &app, &action] { action = [name, &app] { return show_help(app, *name); }; });
}

} // namespace cnnc::commands
