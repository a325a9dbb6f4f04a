"""Where the curves go beside the report: TensorBoard, MLflow, wandb, optuna-dashboard. Written in the driver alone."""
