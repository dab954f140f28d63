#include "amx_emulator.h"

#if defined(__x86_64__) && defined(__linux__)

#include <ucontext.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace repconv::test {
namespace {

std::atomic<long> executedCount{0};
struct sigaction previous;

// What a thread's tile registers hold.
struct Tiles {
  uint8_t palette = 0;
  uint16_t rowBytes[8] = {};
  uint8_t rows[8] = {};
  uint8_t data[8][16][64] = {};
};
thread_local Tiles tiles;

struct Instruction {
  uint8_t opcode, prefix;  // prefix: 0 none, 1 66, 2 F3, 3 F2
  int reg, rm, vvvv;
  bool isMemory;
  uint8_t* address;
  int64_t stride;
  const uint8_t* end;
};

int64_t registerValue(const ucontext_t* context, int number) {
  static constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[kOrder[number]];
}

template <typename T>
T read(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// VEX.128.0F38.W0 with ModRM, SIB and displacement.
bool decode(const ucontext_t* context, Instruction* instruction) {
  const uint8_t* at = reinterpret_cast<const uint8_t*>(context->uc_mcontext.gregs[REG_RIP]);
  if (at[0] != 0xc4 || (at[1] & 0x1f) != 2 || (at[2] & 0x84) != 0) return false;
  const int extendReg = at[1] & 0x80 ? 0 : 8, extendIndex = at[1] & 0x40 ? 0 : 8, extendBase = at[1] & 0x20 ? 0 : 8;
  instruction->prefix = at[2] & 3;
  instruction->vvvv = ~(at[2] >> 3) & 15;
  instruction->opcode = at[3];
  const int mod = at[4] >> 6, rm = at[4] & 7;
  instruction->reg = (at[4] >> 3 & 7) + extendReg;
  instruction->rm = rm + extendBase;
  instruction->isMemory = mod != 3;
  at += 5;
  instruction->end = at;
  if (!instruction->isMemory) return true;
  int64_t base = 0, index = 0;
  bool isRelative = false, hasWideDisplacement = mod == 2;
  if (rm == 4) {
    const uint8_t sib = *at++;
    const int indexNumber = (sib >> 3 & 7) + extendIndex, baseNumber = (sib & 7) + extendBase;
    if (indexNumber != 4) index = registerValue(context, indexNumber) << (sib >> 6);
    if ((sib & 7) == 5 && mod == 0) {
      hasWideDisplacement = true;
    } else {
      base = registerValue(context, baseNumber);
    }
  } else if (rm == 5 && mod == 0) {
    isRelative = hasWideDisplacement = true;
  } else {
    base = registerValue(context, rm + extendBase);
  }
  if (hasWideDisplacement) {
    base += read<int32_t>(at);
    at += 4;
  } else if (mod == 1) {
    base += static_cast<int8_t>(*at++);
  }
  instruction->end = at;
  if (isRelative) base += static_cast<int64_t>(reinterpret_cast<uintptr_t>(at));
  instruction->address = reinterpret_cast<uint8_t*>(base);
  instruction->stride = index;
  return true;
}

bool isConfigured(int tile) {
  return tiles.palette == 1 && tile < 8 && tiles.rows[tile] > 0 && tiles.rowBytes[tile] > 0;
}

bool configure(const uint8_t* from) {
  tiles = Tiles{};
  if (from[0] != 1 || from[1] != 0) return false;
  for (int i = 2; i < 16; i++) {
    if (from[i] != 0) return false;
  }
  for (int t = 0; t < 16; t++) {
    const uint16_t rowBytes = read<uint16_t>(from + 16 + 2 * t);
    const uint8_t rows = from[48 + t];
    if (t >= 8 ? (rowBytes | rows) != 0 : rowBytes > 64 || rows > 16) return false;
    if (t >= 8) continue;
    tiles.rowBytes[t] = rowBytes;
    tiles.rows[t] = rows;
  }
  tiles.palette = 1;
  return true;
}

// Denormal numbers count as zero, and results that would be are.
float flushed(float value) { return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value; }

float bfloat16At(const uint8_t* row, int index) {
  const uint32_t bits = static_cast<uint32_t>(read<uint16_t>(row + 2 * index)) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return flushed(value);
}

// Even and odd k are summed apart, then together, then onto what was there.
bool addProducts(int sums, int inputs, int weights) {
  if (!isConfigured(sums) || !isConfigured(inputs) || !isConfigured(weights) || sums == inputs || sums == weights ||
      inputs == weights)
    return false;
  const int columns = tiles.rowBytes[sums] / 4, depth = tiles.rowBytes[inputs] / 4;
  if (tiles.rows[sums] != tiles.rows[inputs] || tiles.rowBytes[sums] != tiles.rowBytes[weights] ||
      tiles.rows[weights] != depth)
    return false;
  for (int m = 0; m < tiles.rows[sums]; m++) {
    for (int n = 0; n < columns; n++) {
      float even = 0, odd = 0, sum;
      for (int k = 0; k < depth; k++) {
        even = flushed(
            std::fma(bfloat16At(tiles.data[inputs][m], 2 * k), bfloat16At(tiles.data[weights][k], 2 * n), even));
        odd = flushed(
            std::fma(bfloat16At(tiles.data[inputs][m], 2 * k + 1), bfloat16At(tiles.data[weights][k], 2 * n + 1), odd));
      }
      std::memcpy(&sum, &tiles.data[sums][m][4 * n], sizeof sum);
      sum = flushed(flushed(sum) + flushed(even + odd));
      std::memcpy(&tiles.data[sums][m][4 * n], &sum, sizeof sum);
    }
  }
  return true;
}

bool execute(const Instruction& i) {
  enum Prefix { kNone, k66, kF3, kF2 };
  if (i.opcode == 0x5c && i.prefix == kF3 && !i.isMemory) return addProducts(i.reg, i.rm, i.vvvv);
  if (i.vvvv != 0) return false;
  if (i.opcode == 0x49 && i.prefix == kNone && i.reg == 0) {
    if (i.isMemory) return configure(i.address);
    tiles = Tiles{};
    return true;
  }
  if (!isConfigured(i.reg)) return false;
  if (i.opcode == 0x49 && i.prefix == kF2 && !i.isMemory) {
    std::memset(tiles.data[i.reg], 0, sizeof tiles.data[i.reg]);
    return true;
  }
  if (i.opcode != 0x4b || !i.isMemory || i.prefix == kNone) return false;
  for (int row = 0; row < tiles.rows[i.reg]; row++) {
    uint8_t* memory = i.address + row * i.stride;
    if (i.prefix == kF3) {
      std::memcpy(memory, tiles.data[i.reg][row], tiles.rowBytes[i.reg]);
    } else {
      std::memcpy(tiles.data[i.reg][row], memory, tiles.rowBytes[i.reg]);
    }
  }
  return true;
}

void handle(int, siginfo_t*, void* pointer) {
  ucontext_t* context = static_cast<ucontext_t*>(pointer);
  Instruction instruction{};
  if (!decode(context, &instruction) || !execute(instruction)) {
    // Comes again, and is handled as it was before.
    sigaction(SIGILL, &previous, nullptr);
    return;
  }
  executedCount.fetch_add(1, std::memory_order_relaxed);
  context->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(instruction.end));
}

}  // namespace

AmxEmulator::AmxEmulator() {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &before_);
  previous = before_;
}

AmxEmulator::~AmxEmulator() { sigaction(SIGILL, &before_, nullptr); }

long AmxEmulator::executed() { return executedCount.load(); }

}  // namespace repconv::test

#endif
