"""Plans of several steps: a model for each of them, within one budget."""

from graphrouter.steps.plan_steps import Step, StepPlan, read_step_plan
from graphrouter.steps.run_tables import CREDIT_COLUMNS
from graphrouter.steps.step_choice import assign_steps
from graphrouter.steps.step_credit import credit_steps, thin_credit
from graphrouter.steps.step_routing import RoutedStep, StepRouting

__all__ = [
    "CREDIT_COLUMNS",
    "RoutedStep",
    "Step",
    "StepPlan",
    "StepRouting",
    "assign_steps",
    "credit_steps",
    "read_step_plan",
    "thin_credit",
]
