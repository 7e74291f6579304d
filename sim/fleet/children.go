// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/overlay"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// Files of a run that is kept, beside those that the process writes itself.
const (
	PlanFile   = "plan.json"
	StderrFile = "stderr.txt"
)

const (
	// DefaultLimit is how long one process may run; most take a few seconds.
	DefaultLimit = 2 * time.Minute
	// MaxPeak is the most memory that a run may have taken.
	MaxPeak = 1500 << 20
	// MaxMemory ends a process before it takes the machine down: twice that.
	MaxMemory = 2 * MaxPeak
	// maxResult bounds the result that is read: twenty violations of each checker, each with
	// the operations of its path.
	maxResult = 64 << 20
	// memoryDisk is where directories cost no disk: Badger syncs each commit.
	memoryDisk = "/dev/shm"
	// runFolders are their names.
	runFolders = "dyno-sim-*"
	// grace is how long a process that was killed may take to end.
	grace = 10 * time.Second
)

// Children is the Runner that starts processes.
type Children struct {
	Program *Program
	// Limit is how long one may run, Memory how many bytes it may have; 0: the default.
	Limit  time.Duration
	Memory int64
}

// Run runs a plan in a process. The error tells that this side failed.
func (c *Children) Run(ctx context.Context, p *plan.Plan, o RunOptions) (*trial.Result, error) {
	if o.Mutant != "" && !c.Program.Mutant {
		return nil, fmt.Errorf("%w, and %s was asked for", ErrNoMutants, o.Mutant)
	}
	r := run{children: c, plan: p, options: &o, told: newBounded()}
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("fleet: seed %d: %w", p.Seed, err)
	}
	defer r.remove()
	result, err := r.do(ctx)
	if err != nil {
		return nil, fmt.Errorf("fleet: seed %d: %w", p.Seed, err)
	}
	return result, nil
}

// run is one process.
type run struct {
	children *Children
	plan     *plan.Plan
	options  *RunOptions

	folder *folder
	dir    string // its path: all that the process reads and writes
	told   *bounded
	over   string // the limit that it broke
}

func (r *run) prepare() (err error) {
	if r.folder, err = makeFolder(memoryDisk, runFolders); err != nil {
		r.folder, err = makeFolder("", runFolders) // a machine without is slower
	}
	if err != nil {
		return err
	}
	r.dir = r.folder.path
	if err = writePlan(filepath.Join(r.dir, PlanFile), r.plan); err != nil {
		r.remove()
	}
	return err
}

// remove removes what is left: it has done its work, and lies with the temporary files.
func (r *run) remove() { _ = r.folder.remove() }

func (r *run) do(ctx context.Context) (*trial.Result, error) {
	began := time.Now()
	state, err := r.start(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if state == nil {
		return nil, fmt.Errorf("start %s: %w", r.children.Program.Path, err)
	}
	result := r.result(state)
	result.Plan, result.Mutant = r.plan, r.options.Mutant
	if !r.children.Program.Replayable {
		result.Replayable = false
	}
	if result.Wall == 0 {
		result.Wall = time.Since(began)
	}
	if used, ok := state.SysUsage().(*syscall.Rusage); ok {
		result.Peak = max(result.Peak, int64(used.Maxrss)*rssUnit)
	}
	result.CPU = max(result.CPU, state.UserTime()+state.SystemTime())
	if result.Peak > MaxPeak && r.over == "" {
		spoil(result, trial.Problem{Rule: ruleMemory, Unknown: true, Text: fmt.Sprintf(
			"it took %d MiB of memory, %d are its bound", result.Peak>>20, MaxPeak>>20)})
	}
	if err := r.keep(result); err != nil {
		spoil(result, notKept(err))
	}
	return result, nil
}

// notKept says that the files of a run are lost, which is no reason to lose its verdict,
// nor those of the runs behind it.
func notKept(err error) trial.Problem {
	return trial.Problem{
		Rule: ruleFiles, Unknown: true, Text: "its files are not kept: " + err.Error(),
	}
}

// start runs the process to its end. A nil state says that there never was one.
func (r *run) start(ctx context.Context) (*os.ProcessState, error) {
	limit := r.children.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooSlow)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, r.children.Program.Path,
		"child", filepath.Join(r.dir, PlanFile), r.dir)
	cmd.Args[0] = binaryName // a test's binary goes by its name
	cmd.Dir = r.dir
	cmd.Env = r.environ()
	cmd.Stdout, cmd.Stderr = r.told, r.told
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	runtime.LockOSThread() // the process ends with the thread that starts it: attributes
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchMemory(ctx, cmd.Process.Pid, r.memory(), func() { stop(errTooLarge) })
	}()
	err := cmd.Wait()
	if cause := context.Cause(ctx); errors.Is(cause, errTooSlow) {
		r.over = fmt.Sprintf("it ran for %s and had not ended", limit)
	} else if errors.Is(cause, errTooLarge) {
		r.over = fmt.Sprintf("it took more than %d bytes of memory", r.memory())
	}
	stop(nil)
	<-watched
	return cmd.ProcessState, err
}

var (
	errTooSlow  = errors.New("fleet: too slow")
	errTooLarge = errors.New("fleet: too large")
)

func (r *run) memory() int64 {
	if r.children.Memory == 0 {
		return MaxMemory
	}
	return r.children.Memory
}

// environ is all that the process knows of its surroundings.
func (r *run) environ() []string {
	env := []string{"TMPDIR=" + r.dir, "HOME=" + r.dir, "TZ=UTC"}
	if r.options.Mutant != "" {
		env = append(env, mutant.Environment+"="+r.options.Mutant)
	}
	if r.children.Program.Replayable {
		seeded := overlay.Run{Seed: r.plan.Seed, SeededOrder: r.plan.SeededOrder}
		env = append(env, seeded.Environ()...)
	}
	return env
}

// result is what the process wrote, or what its end says.
func (r *run) result(state *os.ProcessState) *trial.Result {
	result, err := ReadResult(filepath.Join(r.dir, trial.ResultFile))
	if err != nil {
		result = &trial.Result{Verdict: checker.Unknown}
	}
	switch {
	case r.over != "":
		rule := ruleTimeout
		if strings.Contains(r.over, "memory") {
			rule = ruleMemory
		}
		spoil(result, trial.Problem{Rule: rule, Text: r.over, Unknown: true})
	case !state.Success():
		spoil(result, r.told.problem(state))
	case err != nil:
		spoil(result, trial.Problem{Rule: ruleChild, Text: err.Error(), Unknown: true})
	}
	return result
}

// keep copies the files to where they are asked for.
func (r *run) keep(result *trial.Result) error {
	if r.options.Keep == nil {
		return nil
	}
	to := r.options.Keep(result)
	if to == "" {
		return nil
	}
	if err := keepResult(to, r.plan, result); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, StderrFile), r.told.bytes(), 0o644); err != nil {
		return err
	}
	for _, name := range []string{trial.HistoryFile, trial.LogFile} {
		if err := copyFile(filepath.Join(r.dir, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the process did not come so far
	}
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func writePlan(path string, p *plan.Plan) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(plan.Write(out, p), out.Close())
}

// WriteResult writes a result as JSON.
func WriteResult(path string, r *trial.Result) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("fleet: write %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// ReadResult reads a result that a run wrote.
func ReadResult(path string) (*trial.Result, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was only read
	r := &trial.Result{}
	if err := json.NewDecoder(io.LimitReader(in, maxResult)).Decode(r); err != nil {
		return nil, fmt.Errorf("fleet: read %s: %w", path, err)
	}
	return r, nil
}
