// The part of TFLite-Micro's interface that the kit calls, to compile without TFLite-Micro.
#pragma once
#include <cstddef>
#include <cstdint>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

struct TfLiteTensor {
  union {
    int8_t* int8;
  } data;
  size_t bytes;
};

namespace tflite {

struct Model;

class MicroOpResolver {
 public:
  virtual ~MicroOpResolver() = default;
};

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* arena, size_t bytes)
      : given_{{input_}, sizeof input_}, found_{{output_}, sizeof output_} {
    (void)resolver;
    ready_ = model != nullptr && arena != nullptr && bytes >= 1024;
  }
  TfLiteStatus AllocateTensors() { return ready_ ? kTfLiteOk : kTfLiteError; }
  TfLiteTensor* input(size_t) { return &given_; }
  TfLiteTensor* output(size_t) { return &found_; }
  // Sets the output of every class to the first value of the patch.
  TfLiteStatus Invoke() {
    for (int8_t& logit : output_) logit = input_[0];
    return kTfLiteOk;
  }

 private:
  bool ready_;
  int8_t input_[96 * 64];
  int8_t output_[521];
  TfLiteTensor given_, found_;
};

}  // namespace tflite
