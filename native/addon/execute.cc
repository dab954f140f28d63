#include "addon/execute.h"

#include "addon/environment.h"
#include "addon/program_reader.h"
#include "addon/session_options.h"
#include "addon/session_run.h"

namespace repconv {

Result<Napi::Value> execute(const Napi::CallbackInfo& info) {
  SessionOptions options;
  if (Status status = readOptions(info.Env(), info[4], &options); !status.isOk()) return status;
  Result<Program> program = readProgram(info[0]);
  if (!program.isOk()) return program.status();
  Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), options);
  if (!session.isOk()) return session.status();
  std::vector<std::vector<int64_t>> shapes;
  if (Status status = readShapes(info[1], &shapes); !status.isOk()) return status;
  Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(shapes, shapes);
  if (!plan.isOk()) return plan.status();
  std::vector<void*> inputs, outputs;
  const Program& checked = session.value()->program();
  if (Status status = readArrays(info[2], "input", *plan.value(), checked.inputs, &inputs); !status.isOk())
    return status;
  if (Status status = readArrays(info[3], "output", *plan.value(), checked.outputs, &outputs); !status.isOk())
    return status;
  return session.value()->run(Environment::of(info.Env()).pool(), *plan.value(), inputs.data(), outputs.data(), nullptr,
                              nullptr);
}

}  // namespace repconv
