package serve

import (
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"viakv/cmd/cliutil"
)

// OpenLog opens the log, which goes to standard error. The returned function ends it.
func (c *Config) OpenLog() (*zap.Logger, func(), error) {
	out := newLogOutput(os.Stderr)
	log, err := newLogger(c.logFormat, c.logLevel, out)
	if err != nil {
		out.close()
		return nil, nil, err
	}
	c.lostLogLines = out.lost.Load
	return log, out.close, nil
}

// newLogger returns a logger that writes to an output for standard error. The format auto is for
// people if that is a terminal, and JSON otherwise.
func newLogger(format, level string, to *logOutput) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, cliutil.Usagef("--log-level %q: want debug, info, warn or error", level)
	}
	if format == "auto" {
		format = "json"
		if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			format = "console"
		}
	}
	var encoder zapcore.Encoder
	switch format {
	case "json":
		config := zap.NewProductionEncoderConfig()
		config.EncodeTime = zapcore.RFC3339NanoTimeEncoder
		encoder = zapcore.NewJSONEncoder(config)
	case "console":
		config := zap.NewDevelopmentEncoderConfig()
		config.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		config.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(config)
	default:
		return nil, cliutil.Usagef("--log-format %q: want auto, json or console", format)
	}
	log := zap.New(zapcore.NewCore(encoder, to, at))
	to.notice = func(lost uint64) {
		log.Warn("lines of the log were lost: its reader has taken no lines, or too few", zap.Uint64("lost so far", lost))
	}
	return log, nil
}
