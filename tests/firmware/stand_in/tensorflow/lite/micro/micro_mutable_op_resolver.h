// See micro_interpreter.h.
#pragma once
#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {

template <unsigned int kOperators>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddConv2D() { return Add(); }
  TfLiteStatus AddDepthwiseConv2D() { return Add(); }
  TfLiteStatus AddFullyConnected() { return Add(); }
  TfLiteStatus AddMean() { return Add(); }

 private:
  TfLiteStatus Add() { return ++added_ <= kOperators ? kTfLiteOk : kTfLiteError; }
  unsigned int added_ = 0;
};

}  // namespace tflite
