from asr_worker.training.cli import main

raise SystemExit(main())
